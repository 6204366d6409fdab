// SPDX-License-Identifier: MIT
// Looks an address up in the ELF symbol table of the object it lies in.
#include "runtime/symbol.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pirn::rt {
namespace {

// The loaded object that holds an address.
struct object {
    ElfW(Addr) address;
    ElfW(Addr) base = 0;
    char path[512] = {};
    bool found = false;
};

int visit_object(dl_phdr_info* info, std::size_t, void* arg) {
    auto* o = static_cast<object*>(arg);
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const auto& ph = info->dlpi_phdr[i];
        if (ph.p_type != PT_LOAD) continue;
        const ElfW(Addr) start = info->dlpi_addr + ph.p_vaddr;
        if (o->address < start || o->address >= start + ph.p_memsz) continue;
        o->base = info->dlpi_addr;
        const bool program = info->dlpi_name == nullptr || info->dlpi_name[0] == '\0';
        std::snprintf(o->path, sizeof o->path, "%s", program ? "/proc/self/exe" : info->dlpi_name);
        o->found = true;
        return 1;
    }
    return 0;
}

// A file mapped for reading.
struct mapped_file {
    const char* data = nullptr;
    std::size_t size = 0;

    explicit mapped_file(const char* path) {
        const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) return;
        struct stat st {};
        if (::fstat(fd, &st) == 0 && st.st_size > 0) {
            void* p = ::mmap(nullptr, static_cast<std::size_t>(st.st_size), PROT_READ, MAP_PRIVATE,
                             fd, 0);
            if (p != MAP_FAILED) {
                data = static_cast<const char*>(p);
                size = static_cast<std::size_t>(st.st_size);
            }
        }
        ::close(fd);
    }
    ~mapped_file() {
        if (data != nullptr) ::munmap(const_cast<char*>(data), size);
    }
    mapped_file(const mapped_file&) = delete;
    mapped_file& operator=(const mapped_file&) = delete;

    template <class T>
    const T* at(std::size_t offset, std::size_t count = 1) const {
        if (offset > size || count > (size - offset) / sizeof(T)) return nullptr;
        return reinterpret_cast<const T*>(data + offset);
    }
};

struct symbol {
    const char* name = nullptr;
    std::size_t offset = 0;
};

// The best function symbol at or below `wanted` in one table.
void search(const mapped_file& f, const ElfW(Shdr)& table, const ElfW(Shdr)& strings,
            ElfW(Addr) wanted, symbol& best) {
    const std::size_t n = table.sh_size / sizeof(ElfW(Sym));
    const auto* symbols = f.at<ElfW(Sym)>(table.sh_offset, n);
    if (symbols == nullptr) return;
    for (std::size_t i = 0; i < n; ++i) {
        const auto& s = symbols[i];
        if (ELF64_ST_TYPE(s.st_info) != STT_FUNC || s.st_shndx == SHN_UNDEF) continue;
        if (wanted < s.st_value || wanted - s.st_value >= (s.st_size != 0 ? s.st_size : 1))
            continue;
        const char* name = f.at<char>(strings.sh_offset + s.st_name);
        if (name != nullptr) best = {name, wanted - s.st_value};
        return;
    }
}

symbol find_symbol(const mapped_file& f, ElfW(Addr) wanted) {
    symbol best;
    const auto* header = f.at<ElfW(Ehdr)>(0);
    if (header == nullptr || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return best;
    const auto* sections = f.at<ElfW(Shdr)>(header->e_shoff, header->e_shnum);
    if (sections == nullptr) return best;
    constexpr unsigned k_tables[] = {SHT_SYMTAB, SHT_DYNSYM};
    for (const unsigned type : k_tables) {
        for (unsigned i = 0; i < header->e_shnum && best.name == nullptr; ++i) {
            if (sections[i].sh_type != type || sections[i].sh_link >= header->e_shnum) continue;
            search(f, sections[i], sections[sections[i].sh_link], wanted, best);
        }
    }
    return best;
}

}  // namespace

void describe_address(const void* address, char* out, std::size_t size) {
    std::snprintf(out, size, "?");
    object o;
    o.address = reinterpret_cast<ElfW(Addr)>(address);
    ::dl_iterate_phdr(visit_object, &o);
    if (!o.found) return;
    const mapped_file f(o.path);
    const symbol s = f.data != nullptr ? find_symbol(f, o.address - o.base) : symbol{};
    if (s.name == nullptr) {
        std::snprintf(out, size, "%s+%#zx", o.path, static_cast<std::size_t>(o.address - o.base));
        return;
    }
    int status = -1;
    char* demangled = abi::__cxa_demangle(s.name, nullptr, nullptr, &status);
    std::snprintf(out, size, "%s+%#zx", status == 0 ? demangled : s.name, s.offset);
    std::free(demangled);
}

}  // namespace pirn::rt
