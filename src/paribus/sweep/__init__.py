"""Planning the jobs of a sweep."""
