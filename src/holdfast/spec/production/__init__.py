"""Sections that shape what ``holdfast render`` writes; none is needed, every default is safe."""
