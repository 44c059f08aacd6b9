/* A library that has none of the functions that it should have. */
int dsc_nothing(void) { return 0; }
