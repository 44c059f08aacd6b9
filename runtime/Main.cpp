//===- Main.cpp - The training executable's entry --------------------------===//

int main() { return 0; }
