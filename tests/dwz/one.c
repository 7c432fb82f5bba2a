#include "shared.h"

struct own { struct shared *shared; word_t count; };

struct shared global = { .colour = GREEN };
struct own own = { &global, 1 };

void sleeps(void) { asm volatile("" ::: "memory"); }

__attribute__((noipa)) int told(struct shared *of, word_t with)
{
	int result = middle(of, with);

	asm volatile(".globl behind\nbehind: nop");
	return result;
}
