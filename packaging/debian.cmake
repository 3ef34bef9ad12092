# `cpack` in a build of preset package makes the Debian packages: ./dev package. A component is a package.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ringlet)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(RINGLET_MAINTAINER "The Ringlet developers <developers@ringlet.io>" CACHE STRING "Who made the Debian packages")
set(CPACK_PACKAGE_CONTACT ${RINGLET_MAINTAINER})
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_COMPONENTS_ALL runtime development daemon program)
set(CPACK_OUTPUT_FILE_PREFIX ${PROJECT_BINARY_DIR}/packages)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
# For the libraries of Debian 12: the same version made for a later Debian is a later one.
set(revision 1~deb12)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${revision})
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/lib)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_POST_BUILD_SCRIPTS ${CMAKE_CURRENT_SOURCE_DIR}/debian/finish.cmake)

# ringlet_package(COMPONENT NAME SECTION SUMMARY DESCRIPTION)
macro(ringlet_package component name section summary description)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section})
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${summary}\n${description}")
  foreach(file changelog.Debian.gz copyright)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/debian/${name}/${file}
      DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name} COMPONENT ${component} OPTIONAL)
  endforeach()
  list(APPEND document_names ${name})
endmacro()

set(about "Ringlet is an always-writeable key-value store after Amazon's Dynamo: a
write is never refused while one replica can take it, every concurrent
version is kept, and the application's own function, or a document that
merges itself, says what they become.
.
This package has")
ringlet_package(runtime libringlet${RINGLET_ABI_MAJOR} libs "always-writeable key-value store, client library"
  "${about} the shared library for C, C++ and others.")
ringlet_package(development libringlet-dev libdevel "always-writeable key-value store, headers"
  "${about} the headers for C and C++, the static library, and the
files for pkg-config and CMake.")
ringlet_package(daemon ringletd database "always-writeable key-value store, storage node"
  "${about} the storage node and its service, which is started once
/etc/ringlet/ringletd.toml is there. It is linked with WiredTiger.")
ringlet_package(program ringlet-tools database "always-writeable key-value store, command line"
  "${about} the command line program ringlet, which reads, writes
and edits keys and changes the members of a cluster.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "libringlet${RINGLET_ABI_MAJOR} (= ${PROJECT_VERSION}-${revision}), libssl-dev, libc-ares-dev")
# The unit file has a user and a directory of its own: the node needs systemd for them.
set(CPACK_DEBIAN_DAEMON_PACKAGE_SUGGESTS "ringlet-tools")
set(scripts ${CMAKE_CURRENT_SOURCE_DIR}/debian)
set(CPACK_DEBIAN_DAEMON_PACKAGE_CONTROL_EXTRA "${scripts}/postinst;${scripts}/prerm;${scripts}/postrm")
# Written here: what CPack generates has the exact version, which a program built with it does not need.
file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/debian/shlibs
  CONTENT "libringlet ${RINGLET_ABI_MAJOR} libringlet${RINGLET_ABI_MAJOR} (>= ${PROJECT_VERSION})\n")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA "${scripts}/triggers;${CMAKE_CURRENT_BINARY_DIR}/debian/shlibs")

# Debian wants a changelog and the licence with each package, the manual pages compressed and no time in any of them.
add_custom_target(ringlet_documents ALL
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/debian/documents.py ${PROJECT_VERSION}-${revision}
          ${RINGLET_MAINTAINER} ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_BINARY_DIR}/debian ${document_names}
  BYPRODUCTS ${CMAKE_CURRENT_BINARY_DIR}/debian/ringletd/copyright
  COMMENT "Documents of the Debian packages" VERBATIM)
include(CPack)
