// SPDX-License-Identifier: MIT
// The assembler pass: run by a compiler as `as`, it rewrites the text and has the real one
// assemble it.
//
// Takes the arguments that `as` takes. The rewritten text goes to the real assembler as its
// standard input, from memory, and this process becomes that assembler: its exit status and its
// messages are the compiler's to see. Everything else (no input, hand-written assembly, another
// CPU) is handed over untouched.
//
// Two options are the pass's own (-Wa brings them here): --hop-at-every-check makes every check
// fail on a goroutine; --runtime-text, for the library's own code, puts functions into the section
// pirn_text, by which the run time knows its own. The environment: PIRN_AS names the real
// assembler. For tests: PIRN_SPLIT_FRAMES=<file> has a line appended for each function,
// PIRN_SPLIT_KEEP=<folder> keeps the rewritten text.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "split/cpu.h"
#include "split/frames.h"
#include "split/reader.h"
#include "split/text.h"
#include "split/writer.h"

namespace {

using split::put;

[[noreturn]] void fail(const std::string& message) {
    std::string line = "pirn as: " + message + "\n";
    (void)!write(2, line.data(), line.size());
    exit(1);
}

struct arguments {
    std::vector<std::string> options;  // all but the inputs
    std::vector<std::string> inputs;   // "-" is the standard input
    std::string output = "a.out";
    bool informs = false;  // --version and the like: there is nothing to assemble
    bool hop_at_every_check = false;
    bool runtime_text = false;
};

bool takes_a_value(std::string_view option) {
    for (std::string_view o : {"-o", "-I", "--defsym", "--MD", "--debug-prefix-map", "--hash-size",
                               "--alternate", "--listing-lhs-width", "--listing-lhs-width2",
                               "--listing-rhs-width", "--listing-cont-lines", "-MD"}) {
        if (option == o) return true;
    }
    return false;
}

arguments read_arguments(int argc, char** argv) {
    arguments a;
    bool only_files = false;
    for (int i = 1; i < argc; ++i) {
        std::string_view x = argv[i];
        if (!only_files && x == "--") {
            only_files = true;
        } else if (!only_files && x.starts_with('@')) {
            fail("response files (" + std::string(x) + ") are not read");
        } else if (only_files || x == "-" || !x.starts_with('-')) {
            a.inputs.emplace_back(x);
        } else if (!only_files && x == "--hop-at-every-check") {
            a.hop_at_every_check = true;
        } else if (!only_files && x == "--runtime-text") {
            a.runtime_text = true;
        } else {
            a.options.emplace_back(x);
            if (x.starts_with("-o") && x.size() > 2) a.output = x.substr(2);
            if (x == "--version" || x == "--help" || x == "--target-help" || x == "-version") {
                a.informs = true;
            }
            if (takes_a_value(x) && i + 1 < argc) {
                a.options.emplace_back(argv[++i]);
                if (x == "-o") a.output = argv[i];
            }
        }
    }
    return a;
}

std::string read_all(int fd, const std::string& name) {
    std::string text;
    struct stat st = {};
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) text.reserve(static_cast<size_t>(st.st_size));
    size_t used = 0;
    for (;;) {
        text.resize(std::max(text.capacity(), used + 65536));
        ssize_t n = read(fd, text.data() + used, text.size() - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail(name + ": " + strerror(errno));
        if (n == 0) break;
        used += static_cast<size_t>(n);
    }
    text.resize(used);
    return text;
}

std::string read_inputs(const std::vector<std::string>& inputs) {
    std::string text;
    for (const std::string& name : inputs) {
        int fd = name == "-" ? 0 : open(name.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0) fail(name + ": " + strerror(errno));
        if (text.empty())
            text = read_all(fd, name);
        else
            text += read_all(fd, name);
        if (fd > 0) close(fd);
    }
    return text;
}

// Which CPU the text is for: as the program is called, as the arguments say, as the text looks.
const split::cpu* cpu_of(const char* self, const arguments& a, std::string_view text) {
    std::string_view name = self;
    name = name.substr(name.rfind('/') + 1);
    if (name.starts_with("aarch64-")) return &split::aarch64();
    for (const std::string& o : a.options) {
        if (o == "--32" || o == "--x32") return nullptr;
        if (o == "--64") return &split::x86_64();
        if (o == "-EB" || o == "-mabi=ilp32") return nullptr;
        if (o == "-EL" || o == "-mabi=lp64") return &split::aarch64();
    }
    if (name.starts_with("x86_64-")) return &split::x86_64();
    if (text.find("%rsp") != text.npos || text.find("%rip") != text.npos ||
        text.find("%eax") != text.npos) {
        return &split::x86_64();
    }
    if (text.find("\t.arch\tarmv") != text.npos || text.find("\t.arch armv") != text.npos ||
        text.find("x30") != text.npos) {
        return &split::aarch64();
    }
    return nullptr;
}

// The first program of that name on PATH that is not this one.
std::string on_path(const std::string& name) {
    struct stat self = {};
    struct stat other = {};
    if (stat("/proc/self/exe", &self) != 0) return {};
    const char* path = getenv("PATH");
    std::string_view rest = path ? path : "/usr/local/bin:/usr/bin:/bin";
    while (!rest.empty()) {
        size_t end = rest.find(':');
        std::string file(rest.substr(0, end));
        rest = end == rest.npos ? std::string_view{} : rest.substr(end + 1);
        file += '/';
        file += name;
        if (access(file.c_str(), X_OK) != 0 || stat(file.c_str(), &other) != 0) continue;
        if (other.st_ino == self.st_ino && other.st_dev == self.st_dev) continue;
        return file;
    }
    return {};
}

std::string real_assembler(const split::cpu* c) {
    if (const char* named = getenv("PIRN_AS")) return named;
    std::string found;
    if (c) found = on_path(std::string(c->triple()) + "-as");
    if (found.empty()) found = on_path("as");
    if (found.empty()) fail("there is no assembler on PATH (PIRN_AS names one)");
    return found;
}

[[noreturn]] void become(const std::string& program, const std::vector<std::string>& options,
                         const std::vector<std::string>& inputs) {
    std::vector<char*> argv;
    argv.push_back(const_cast<char*>(program.c_str()));
    for (const auto& o : options) argv.push_back(const_cast<char*>(o.c_str()));
    for (const auto& i : inputs) argv.push_back(const_cast<char*>(i.c_str()));
    argv.push_back(nullptr);
    execv(program.c_str(), argv.data());
    fail(program + ": " + strerror(errno));
}

// Makes the text the standard input.
void feed(std::string_view text) {
    int fd = memfd_create("pirn-as", 0);
    if (fd < 0) fail(std::string("memfd_create: ") + strerror(errno));
    while (!text.empty()) {
        ssize_t n = write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) fail(std::string("writing the text: ") + strerror(errno));
        text.remove_prefix(static_cast<size_t>(n));
    }
    lseek(fd, 0, SEEK_SET);
    if (fd != 0) {
        dup2(fd, 0);
        close(fd);
    }
}

void append_to(const std::string& file, std::string_view text, int flags) {
    int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
    if (fd < 0 || write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        fail(file + ": " + strerror(errno));
    }
    close(fd);
}

// The place in the source that a statement comes from, as far as .loc and .file say.
std::string source_of(const split::unit& u, uint32_t statement) {
    std::string_view file_number, line;
    for (uint32_t i = statement + 1; i-- > 0 && line.empty();) {
        const split::statement& s = u.statements[i];
        if (s.op != ".loc") continue;
        std::string_view rest = s.args;
        file_number = split::take_word(rest);
        line = split::take_word(rest);
    }
    if (line.empty()) return {};
    std::string where;
    for (const split::statement& s : u.statements) {
        if (s.op != ".file") continue;
        std::string_view rest = s.args;
        if (split::take_word(rest) != file_number) continue;
        if (rest.find(" md5 ") != rest.npos) rest = rest.substr(0, rest.find(" md5 "));
        size_t last = rest.rfind('"');
        size_t open = last == rest.npos || last == 0 ? rest.npos : rest.rfind('"', last - 1);
        if (open != rest.npos) where = rest.substr(open + 1, last - open - 1);
    }
    if (where.empty()) where = "source";
    put(where, ":", line);
    return where;
}

std::string rewrite(const split::cpu& c, std::string_view text, const arguments& a) {
    split::unit u;
    try {
        split::read(u, text, c.comment());
        std::vector<split::frame> frames = split::scan_frames(u, c);
        if (const char* file = getenv("PIRN_SPLIT_FRAMES")) {
            append_to(file, split::frame_list(u, c, frames), O_APPEND);
        }
        std::string out = split::write(u, c, frames);
        if (const char* folder = getenv("PIRN_SPLIT_KEEP")) {
            std::string name = a.output.substr(a.output.rfind('/') + 1);
            append_to(std::string(folder) + "/" + name + ".s", out, O_TRUNC);
        }
        return out;
    } catch (const split::not_understood& e) {
        std::string message = a.inputs[0] == "-" ? "{standard input}" : a.inputs[0];
        if (e.statement < u.statements.size()) {
            const split::statement& s = u.statements[e.statement];
            put(message, ":", s.line, ": ", split::trim(s.text), ": ", e.what());
            std::string source = source_of(u, e.statement);
            if (!source.empty()) put(message, " (from ", source, ")");
        } else {
            put(message, ": ", e.what());
        }
        fail(message);
    }
}

}  // namespace

int main(int argc, char** argv) {
    arguments a = read_arguments(argc, argv);
    if (a.informs || (a.inputs.empty() && isatty(0))) {
        const split::cpu* c = cpu_of(argv[0], a, {});
        become(real_assembler(c), a.options, a.inputs);
    }
    if (a.inputs.empty()) a.inputs.push_back("-");
    std::string text = read_inputs(a.inputs);
    const split::cpu* c = cpu_of(argv[0], a, text);
    std::string assembler = real_assembler(c);
    if (!c || !split::is_generated(text)) {
        bool from_stdin = a.inputs.size() == 1 && a.inputs[0] == "-";
        if (from_stdin) feed(text);
        become(assembler, a.options, a.inputs);
    }
    split::hop_at_every_check = a.hop_at_every_check;
    split::runtime_text = a.runtime_text;
    feed(rewrite(*c, text, a));
    become(assembler, a.options, {"-"});
}
