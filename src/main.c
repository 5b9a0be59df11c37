/*
 * The program: what the command line asks for is done by the cli room.
 */
#include "cli/command.h"

int main(int argc, char **argv)
{
	return command_dispatch(argc, argv);
}
