"""Pages and tables made from what other experiments found."""
