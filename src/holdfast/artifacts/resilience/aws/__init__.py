"""The cloud under the clusters: CloudFormation of each region, and of what stands before them all.

Templates are written in the long form (``Fn::GetAtt`` as a plain mapping), so any reader of YAML
can read them. Within a region stacks import each other's exports; between regions values go
through parameters, which ``deploy.sh`` fills.
"""
