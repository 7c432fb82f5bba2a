#include "shared.h"

struct pair { struct shared *first, *second; };

struct pair pair = { &global, &global };

__attribute__((noipa)) int other(struct pair *of)
{
	int result = middle(of->second, 4);

	asm volatile("" ::"r"(result));
	return told(of->first, result) + global.colour;
}
