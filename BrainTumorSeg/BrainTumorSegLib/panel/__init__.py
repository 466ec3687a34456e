"""The sections of the module's panel; the only part of the library that uses Qt."""
