#include "core/plugin/elf_exports.h"

#include <elf.h>
#include <link.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace berth {
namespace {

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
#elif defined(__riscv)
constexpr uint16_t kMachine = EM_RISCV;
#elif defined(__s390x__)
constexpr uint16_t kMachine = EM_S390;
#elif defined(__powerpc64__)
constexpr uint16_t kMachine = EM_PPC64;
#else
#error "say which e_machine this is"
#endif

using Header = ElfW(Ehdr);
using Section = ElfW(Shdr);
using Symbol = ElfW(Sym);

absl::Status Bad(absl::string_view why) { return absl::InvalidArgumentError(absl::StrCat("not a plugin: ", why)); }

// The bytes may be aligned in any way: everything is copied out.
template <class T>
absl::StatusOr<T> At(absl::string_view file, uint64_t offset, const char* what) {
  if (offset > file.size() || file.size() - offset < sizeof(T)) {
    return Bad(absl::StrCat("its ", what, " is beyond its end"));
  }
  T out;
  memcpy(&out, file.data() + offset, sizeof(T));
  return out;
}

absl::StatusOr<absl::string_view> Contents(absl::string_view file, const Section& section, const char* what) {
  if (section.sh_offset > file.size() || file.size() - section.sh_offset < section.sh_size) {
    return Bad(absl::StrCat("its ", what, " is beyond its end"));
  }
  return file.substr(section.sh_offset, section.sh_size);
}

absl::Status CheckHeader(const Header& h) {
  if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0) return Bad("no ELF file");
  constexpr int kClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
  constexpr int kData = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;
  if (h.e_ident[EI_CLASS] != kClass || h.e_ident[EI_DATA] != kData || h.e_machine != kMachine) {
    return Bad("built for another machine");
  }
  if (h.e_type != ET_DYN) return Bad("no shared object");
  if (h.e_shoff == 0 || h.e_shnum == 0) return Bad("its section headers were removed");
  if (h.e_shentsize != sizeof(Section)) return Bad("its section headers have an odd size");
  return absl::OkStatus();
}

bool IsExported(const Symbol& symbol) {
  const int binding = ELF64_ST_BIND(symbol.st_info), visibility = ELF64_ST_VISIBILITY(symbol.st_other);
  return symbol.st_shndx != SHN_UNDEF && binding != STB_LOCAL && visibility != STV_HIDDEN && visibility != STV_INTERNAL;
}

absl::StatusOr<std::string> Name(absl::string_view strings, uint32_t offset) {
  if (offset >= strings.size()) return Bad("a symbol's name is beyond its string table");
  const size_t end = strings.find('\0', offset);
  if (end == absl::string_view::npos) return Bad("a symbol's name has no end");
  return std::string(strings.substr(offset, end - offset));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ElfExports(absl::string_view file) {
  ASSIGN_OR_RETURN(const Header header, At<Header>(file, 0, "header"));
  RETURN_IF_ERROR(CheckHeader(header));
  const auto section = [&](uint32_t i) {
    // No overflow: e_shoff is checked against the size first.
    if (header.e_shoff > file.size()) return At<Section>(file, file.size(), "section table");
    return At<Section>(file, header.e_shoff + uint64_t{i} * sizeof(Section), "section table");
  };
  std::vector<std::string> out;
  bool found = false;
  for (uint32_t i = 0; i < header.e_shnum; ++i) {
    ASSIGN_OR_RETURN(const Section table, section(i));
    if (table.sh_type != SHT_DYNSYM) continue;
    found = true;
    if (table.sh_link >= header.e_shnum) return Bad("its symbol table names no string table");
    ASSIGN_OR_RETURN(const Section names, section(table.sh_link));
    ASSIGN_OR_RETURN(const absl::string_view symbols, Contents(file, table, "symbol table"));
    ASSIGN_OR_RETURN(const absl::string_view strings, Contents(file, names, "string table"));
    if (table.sh_entsize != sizeof(Symbol) || symbols.size() % sizeof(Symbol) != 0) {
      return Bad("its symbol table has an odd size");
    }
    for (size_t at = 0; at < symbols.size(); at += sizeof(Symbol)) {
      ASSIGN_OR_RETURN(const Symbol symbol, At<Symbol>(symbols, at, "symbol"));
      if (!IsExported(symbol)) continue;
      ASSIGN_OR_RETURN(std::string name, Name(strings, symbol.st_name));
      out.push_back(std::move(name));
    }
  }
  if (!found) return Bad("it has no dynamic symbols");
  return out;
}

}  // namespace berth
