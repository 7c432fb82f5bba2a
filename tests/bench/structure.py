"""One struct out of DWARF."""
print(prog.type("struct task_struct"))
