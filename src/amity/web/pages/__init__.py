"""What each page of the console shows, as pure functions from what a use case found to markup."""
