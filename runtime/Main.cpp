// The training executable's entry.

#include "runtime/Runner.h"

int main(int argc, char **argv) { return dsc::runMain(argc, argv); }
