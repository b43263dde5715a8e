"""The live page and its API: what care teams see of the twin, and how programs ask for it."""
