"""Networks that read builds."""
