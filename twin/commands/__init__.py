"""The commands of `twin`, a module for each; what is heavy they import when they are called."""
