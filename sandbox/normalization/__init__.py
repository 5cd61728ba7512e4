"""The second reference system: an API whose stage validator goes off, warn, enforce, and its data migration."""
