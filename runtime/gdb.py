# SPDX-License-Identifier: MIT
"""gdb's view of goroutines: `source` this in a process, or a core, whose library has debug info.

info goroutines         each one: its id, name, state or what it waits for, and its entry function
goroutine ID COMMAND    COMMAND (bt, frame 2, info locals, ...) as if that goroutine were running

For a goroutine that is parked, the selected thread's registers are those of its stack while the
command runs, and its own again afterwards: so this needs a live process. One that runs, or blocks,
has a thread, on which the command is carried out.
"""

import gdb

# How a parked stack looks: where the frame pointer lies above its sp, and what it is called
# (PIRN_PARKED_FP of arch/<cpu>/regs.h).
PARKED = {"i386:x86-64": (8, "rbp"), "aarch64": (0, "x29")}
# The colours of headers, as in header_at of stack/pool.cc.
COLOUR_STEP, COLOURS, COLOUR_BYTES = 5, 16, 128


def atomic(value):
    """What a base::atomic or relaxed_ptr holds."""
    while value.type.strip_typedefs().code == gdb.TYPE_CODE_STRUCT:
        field = next(f for f in value.type.strip_typedefs().fields() if hasattr(f, "bitpos"))
        value = value.cast(field.type) if field.is_base_class else value[field]
    return value


def static(symbol):
    """The word at a linker's symbol, which gdb may know no type of."""
    return gdb.parse_and_eval(f"*(unsigned long*)&{symbol}")


def goroutines():
    """Every goroutine there is, as a pirn::rt::g."""
    # Another file has a type of that name.
    here = gdb.block_for_pc(int(gdb.parse_and_eval("(unsigned long)&pirn::stack::for_each_block")))
    pool_type = gdb.lookup_type("pirn::stack::(anonymous namespace)::global", here.static_block)
    pool = static("_ZZN4pirn5stack12_GLOBAL__N_13theEvE4pool").cast(pool_type.pointer())
    if int(pool) == 0:
        return
    block = gdb.lookup_type("pirn::stack::block").pointer()
    goroutine = gdb.lookup_type("pirn::rt::g").pointer()
    align = int(pool["header"]["header_align"])
    header = (int(pool["header"]["header_bytes"]) + align - 1) // align * align
    tables = pool["tables"]
    for size_class in range(tables.type.range()[1] + 1):
        for number in range(int(tables[size_class]["count"])):
            region = tables[size_class]["regions"][number].dereference()
            if int(region["made"]) == 0:
                continue
            start, slot_bytes = int(region["start"]), int(region["bytes"]) // int(region["slots"])
            for slot in range(int(region["made"])):
                colour = slot * COLOUR_STEP % COLOURS * COLOUR_BYTES if size_class else 0
                at = gdb.Value(start + (slot + 1) * slot_bytes - colour - header)
                found = at.cast(block).cast(goroutine).dereference()
                if int(found["in_use"]) and state(found) not in ("idle", "dead"):
                    yield found


def state(goroutine):
    status = atomic(goroutine["status"]).cast(gdb.lookup_type("pirn::rt::g_status"))
    return str(status).rsplit("::", 1)[-1]


def describe(goroutine):
    what = state(goroutine)
    if what == "waiting":
        what += ": " + str(goroutine["reason"]).rsplit("::", 1)[-1].replace("_", " ")
    name = ""
    if int(goroutine["name_bytes"]):
        name = ' "' + goroutine["name"].string(length=int(goroutine["name_bytes"])) + '"'
    entry = "the main function"
    if not goroutine["is_main"]:
        symbol = gdb.execute(f"info symbol {int(goroutine['entry'])}", to_string=True)
        entry = symbol.split(" in section ")[0].strip()
    return f"{int(goroutine['id'])}{name} [{what}] {entry}"


def thread_of(goroutine):
    """gdb's thread that it is on, or None."""
    run = static("_ZN4pirn2rt12_GLOBAL__N_17currentE")
    if int(run) == 0:
        return None
    machine = run.cast(gdb.lookup_type("pirn::rt::sched").pointer())["all_ms"]
    while int(machine):
        if int(atomic(machine["running"])) == int(goroutine.address):
            for thread in gdb.selected_inferior().threads():
                if thread.ptid[1] == int(machine["tid"]):
                    return thread
        machine = machine["next_all"]
    return None


def as_if_running(goroutine, command):
    """Carries a command out on a parked stack."""
    gdb.newest_frame().select()
    architecture = gdb.selected_frame().architecture().name()
    offset, frame_pointer = PARKED[architecture]
    context = goroutine["ctx"]
    word = gdb.lookup_type("unsigned long").pointer()
    pc, sp = int(context["pc"]), int(context["sp"])
    values = {"pc": pc, "sp": sp,
              frame_pointer: int(gdb.Value(sp + offset).cast(word).dereference())}
    kept = ["pc", "sp", frame_pointer] + (["orig_rax"] if frame_pointer == "rbp" else [])
    before = {name: int(gdb.parse_and_eval(f"(unsigned long)${name}")) for name in kept}
    try:
        for name, value in values.items():
            gdb.execute(f"set ${name} = {value}", to_string=True)
        gdb.execute(command)
    finally:
        gdb.newest_frame().select()
        for name, value in before.items():
            gdb.execute(f"set ${name} = {value}", to_string=True)


class InfoGoroutines(gdb.Command):
    """Lists all goroutines: id, name, state or wait reason, entry function."""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for line in sorted((describe(g) for g in goroutines()), key=lambda s: int(s.split()[0])):
            print(line)


class Goroutine(gdb.Command):
    """goroutine ID COMMAND: carries COMMAND out as if that goroutine were running."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        number, _, command = argument.strip().partition(" ")
        found = next((g for g in goroutines() if str(int(g["id"])) == number), None)
        if found is None:
            raise gdb.GdbError(f"no goroutine {number}")
        selected = gdb.selected_thread()
        try:
            thread = thread_of(found)
            if thread is not None:
                thread.switch()
                gdb.execute(command or "bt")
            elif state(found) == "waiting" or int(found["ctx"]["sp"]):
                as_if_running(found, command or "bt")
        finally:
            selected.switch()


InfoGoroutines()
Goroutine()
