# What the library is built of, looked for before anything else, so that a machine which lacks some of it is told all of it
# at once, and how to get it: `pip install .` shows no more than what is printed here.
find_package(Boost 1.81 QUIET)
find_package(OpenSSL QUIET COMPONENTS Crypto)
find_package(PkgConfig QUIET)
if(PKG_CONFIG_FOUND)
  pkg_check_modules(cares QUIET IMPORTED_TARGET GLOBAL libcares)
endif()
find_path(RINGLET_PROTOZERO protozero/pbf_reader.hpp)
find_path(RINGLET_XXHASH xxhash.h)
mark_as_advanced(RINGLET_PROTOZERO RINGLET_XXHASH)

set(lacking "")
set(packages "")
# ringlet_needs(PACKAGE WHAT CONDITION...)
macro(ringlet_needs package what)
  if(NOT (${ARGN}))
    string(APPEND lacking "\n  ${what}")
    string(APPEND packages " ${package}")
  endif()
endmacro()
ringlet_needs(libboost1.81-dev "Boost 1.81 or later (headers)" Boost_FOUND AND EXISTS "${Boost_INCLUDE_DIRS}/boost/asio.hpp")
ringlet_needs(libssl-dev "OpenSSL 3 (libcrypto)" OPENSSL_FOUND)
ringlet_needs(pkg-config "pkg-config" PKG_CONFIG_FOUND)
ringlet_needs(libc-ares-dev "c-ares" cares_FOUND)
ringlet_needs(libprotozero-dev "protozero (headers)" RINGLET_PROTOZERO)
ringlet_needs(libxxhash-dev "xxHash (header)" RINGLET_XXHASH)
if(lacking)
  message(FATAL_ERROR "This machine lacks what Ringlet is built of:${lacking}\n"
    "On Debian 12 and later:\n  apt-get install g++ ninja-build${packages}\n"
    "On another system: the packages with these headers. CMAKE_PREFIX_PATH names a place of your own.")
endif()

if(RINGLET_BUNDLE)
  find_library(RINGLET_STATIC_CRYPTO libcrypto.a)
  find_library(RINGLET_STATIC_CARES libcares.a)
  if(NOT RINGLET_STATIC_CRYPTO OR NOT RINGLET_STATIC_CARES)
    message(FATAL_ERROR "Wanted libcrypto.a and libcares.a, which are linked into what goes to other machines, and found "
      "'${RINGLET_STATIC_CRYPTO}' and '${RINGLET_STATIC_CARES}'. Debian's packages libssl-dev and libc-ares-dev have them. "
      "For this machine alone its shared libraries do: -DRINGLET_BUNDLE=OFF, and to pip "
      "--config-settings=cmake.define.RINGLET_BUNDLE=OFF.")
  endif()
endif()
