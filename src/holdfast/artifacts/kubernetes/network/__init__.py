"""Who may talk to whom: nothing is allowed but the flows the spec implies, in three flavours."""
