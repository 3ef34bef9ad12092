# One place for what every target shares: warnings, sanitizers, the linker, and the two functions
# with which a folder of core/ declares its library and its tests.

# Compiled once a machine, not once a checkout: paths are cached as they look from the build folder.
find_program(RINGLET_CCACHE ccache)
if(RINGLET_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(ringlet_launcher ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${RINGLET_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${ringlet_launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${ringlet_launcher})
endif()
# The default linker: mold 1.10.1 of Debian 12 lays some programs with thread-local data out so that
# they do not start ("cannot apply additional memory protection after relocation").

add_library(ringlet_flags INTERFACE)
# A warning of a compiler that this tree was never built with must not stop a project that takes it in.
target_compile_options(ringlet_flags INTERFACE
  -Wall -Wextra $<$<BOOL:${PROJECT_IS_TOP_LEVEL}>:-Werror> $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False alarms of gcc 12 in libstdc++ and Boost at -O2 (GCC bugs 105329, 105562).
  target_compile_options(ringlet_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow
    -Wno-array-bounds -Wno-stringop-overread -Wno-missing-field-initializers>)
else()
  # As with gcc: a struct of options or of a message is made by naming what it holds, the rest is its
  # default. Otherwise a build with clang, which the default suite lacks, fails on what gcc lets pass.
  target_compile_options(ringlet_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-missing-field-initializers>)
endif()
if(RINGLET_SANITIZE)
  add_compile_options(-fsanitize=${RINGLET_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${RINGLET_SANITIZE})
  if(RINGLET_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()
if(RINGLET_PLANTED_BUGS)
  add_compile_definitions(RINGLET_PLANTED_BUGS=1)
endif()

find_package(Threads REQUIRED)

# ringlet_library(NAME SOURCES a.cpp … LINK lib …): one static library a folder; its LINK list is
# the arrows of the architecture, which tests/tidy compares with the includes.
function(ringlet_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(ringlet_${name} STATIC ${ARG_SOURCES})
  target_include_directories(ringlet_${name} PUBLIC ${PROJECT_SOURCE_DIR}/core)
  target_link_libraries(ringlet_${name} PUBLIC ${ARG_LINK} PRIVATE ringlet_flags ${ARG_PRIVATE_LINK})
endfunction()

# ringlet_test(NAME LABEL unit SOURCES … LINK …): one Catch2 program, one ctest entry. ALONE: not beside
# another, for it runs whole nodes with the patience they have in real use.
function(ringlet_test name)
  cmake_parse_arguments(ARG "ALONE" "LABEL;TIMEOUT" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  if(RINGLET_SANITIZE)
    math(EXPR ARG_TIMEOUT "4 * ${ARG_TIMEOUT}")  # such programs are up to ten times slower
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ringlet_catch_main ringlet_flags ${ARG_LINK})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE RINGLET_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT} RUN_SERIAL ${ARG_ALONE})
endfunction()
