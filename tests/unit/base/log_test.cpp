#include "base/log.hpp"

#include <catch2/catch.hpp>

namespace ringlet {
namespace {

TEST_CASE("what a stranger sent stays on one line of the log and moves no cursor") {
  CHECK(one_line("plain: \"text\"\\") == "plain: \"text\"\\");
  CHECK(one_line("a\nERROR all is lost\r\t\x1b[2J\x7f") ==
        "a\\x0aERROR all is lost\\x0d\\x09\\x1b[2J\\x7f");
  CHECK(one_line(std::string_view("\0", 1)) == "\\x00");
  CHECK(one_line("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");  // well-formed UTF-8 stays
  CHECK(one_line("\xc2\x9b[2J") == "\\xc2\\x9b[2J");              // the C1 form of ESC [
  CHECK(one_line("\xe2\x80\xae") == "\\xe2\\x80\\xae");           // text direction
  CHECK(one_line("\xc0\x8a \xff \xe2\x82 \xed\xa0\x80 \xf4\x90\x80\x80") ==
        "\\xc0\\x8a \\xff \\xe2\\x82 \\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80");
}

}  // namespace
}  // namespace ringlet
