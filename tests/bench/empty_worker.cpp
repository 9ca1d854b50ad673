// Linked to the libraries that the worker is linked to, and does nothing.
#include <cmath>
#include <iostream>

int main(int argument_count, char**) {
  if (argument_count > 100) std::cout << std::sin(argument_count);  // so that they are linked
}
