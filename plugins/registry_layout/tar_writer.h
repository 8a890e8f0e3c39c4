// Tar archives for tests, honest and otherwise.
#ifndef BERTH_PLUGINS_REGISTRY_LAYOUT_TAR_WRITER_H_
#define BERTH_PLUGINS_REGISTRY_LAYOUT_TAR_WRITER_H_

#include <cstdio>
#include <string>

namespace berth::registry_layout {

class TarWriter {
 public:
  TarWriter& Add(const std::string& name, const std::string& data, char type = '0', const std::string& link = "") {
    return Header(name, data.size(), type, link).Data(data);
  }
  // A header that may claim any size.
  TarWriter& Header(const std::string& name, uint64_t size, char type = '0', const std::string& link = "") {
    std::string block(512, '\0');
    block.replace(0, name.size(), name);
    char number[32];
    snprintf(number, sizeof(number), "%011llo", static_cast<unsigned long long>(size));
    block.replace(124, 11, number, 11);
    block[156] = type;
    block.replace(157, link.size(), link);
    block.replace(257, 8, "ustar\00000", 8);
    return Raw(Sealed(block));
  }
  TarWriter& Data(const std::string& data) {
    text_ += data;
    text_.resize((text_.size() + 511) / 512 * 512);
    return *this;
  }
  TarWriter& Raw(const std::string& bytes) {
    text_ += bytes;
    return *this;
  }
  TarWriter& Pax(const std::string& key, const std::string& value) {
    std::string record = " " + key + "=" + value + "\n";
    size_t length = record.size() + 1;
    while (std::to_string(length).size() + record.size() != length) ++length;
    return Add("pax", std::to_string(length) + record, 'x');
  }
  std::string End() const { return text_ + std::string(1024, '\0'); }
  std::string Unended() const { return text_; }

  // The block with its checksum set.
  static std::string Sealed(std::string block) {
    block.replace(148, 8, 8, ' ');
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    char number[32];
    snprintf(number, sizeof(number), "%06o", sum);
    block.replace(148, 7, number, 7);
    return block;
  }

 private:
  std::string text_;
};

}  // namespace berth::registry_layout

#endif  // BERTH_PLUGINS_REGISTRY_LAYOUT_TAR_WRITER_H_
