"""Wrong requests: written by hand, and generated over all groups, types and verbs."""
