"""The reference application: an admin dashboard and agent portal with a legacy and a new read path behind a flag."""
