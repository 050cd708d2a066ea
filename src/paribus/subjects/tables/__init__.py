"""Tables: rows with numeric and categorical columns, a label, and where there are any a domain and a cluster."""
