"""What each command does: arguments in, printed lines and an exit status out."""
