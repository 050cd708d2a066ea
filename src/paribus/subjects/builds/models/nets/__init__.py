"""The torch modules of the networks that read builds."""
