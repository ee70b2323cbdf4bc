"""Where meters, collectors and the broker's clients come in, and who may."""
