"""From a commit to production: pipelines, GitOps, progressive delivery."""
