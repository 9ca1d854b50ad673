#include "program/cli.hpp"

int main(int argument_count, char** arguments) { return taskhost::run_command_line(argument_count, arguments); }
