"""Taking away, one by one, what keeps Paribus out of the traps of its libraries: their tests fail."""
