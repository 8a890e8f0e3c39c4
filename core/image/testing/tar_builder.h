// Tar archives for tests, made byte by byte so that they can be as wrong as a test wants.
#ifndef BERTH_CORE_IMAGE_TESTING_TAR_BUILDER_H_
#define BERTH_CORE_IMAGE_TESTING_TAR_BUILDER_H_

#include <cstdint>
#include <map>
#include <string>

namespace berth {

struct TarEntry {
  std::string name;
  char type = '0';  // ustar typeflag
  std::string data, link;
  uint32_t mode = 0644;
  uint64_t uid = 0, gid = 0;
  int64_t mtime = 1'600'000'000;
  uint32_t major = 0, minor = 0;
  std::map<std::string, std::string> pax;  // records of an extended header before it; "path" and "linkpath" come by
                                           // themselves for names that ustar can't hold
};

class TarBuilder {
 public:
  TarBuilder& Add(const TarEntry& entry);
  TarBuilder& File(const std::string& name, const std::string& data, uint32_t mode = 0644);
  TarBuilder& Dir(const std::string& name, uint32_t mode = 0755);
  TarBuilder& Symlink(const std::string& name, const std::string& target);
  TarBuilder& HardLink(const std::string& name, const std::string& target);
  // With the end mark.
  std::string Build() const;
  // What there is so far, without it.
  const std::string& raw() const { return bytes_; }

 private:
  void Header(const TarEntry& entry, char type, uint64_t size);
  void Data(const std::string& data);

  std::string bytes_;
};

std::string GzipForTest(const std::string& data);
std::string ZstdForTest(const std::string& data);

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_TESTING_TAR_BUILDER_H_
