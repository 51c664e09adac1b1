"""The generated shop: a catalogue whose truth is known."""
