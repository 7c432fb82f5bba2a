/* What both programs include: dwz moves its types and inlined functions out of them. */
enum colour { RED, GREEN = 7, BLUE };
typedef unsigned long word_t;
struct list { struct list *next, *prev; };
union value { word_t word; char bytes[8]; };
struct shared {
	struct list list;
	union value value;
	enum colour colour;
	unsigned int low : 3, high : 5;
	const char *name;
	int (*call)(struct shared *of, word_t with);
};
extern struct shared global;
int told(struct shared *of, word_t with);
__attribute__((noipa)) void sleeps(void);

static inline __attribute__((always_inline)) int innermost(struct shared *of, int count)
{
	int twice = count * 2;

	of->value.word = twice;
	sleeps();
	asm volatile("" ::"r"(twice), "r"(of));
	return twice;
}

static inline __attribute__((always_inline)) int middle(struct shared *of, int count)
{
	return innermost(of, count + 1);
}
