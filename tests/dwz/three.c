#include "shared.h"

struct shared global;
struct shared *last = &global;

void sleeps(void) { asm volatile("" ::: "memory"); }

__attribute__((noipa)) int told(struct shared *of, word_t with)
{
	return middle(of, with) + GREEN;
}
