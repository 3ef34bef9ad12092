# CPack gives the package of a library scripts that call ldconfig, as it did before there were triggers; they go, and the
# trigger stays.
foreach(package ${CPACK_PACKAGE_FILES})
  if(package MATCHES "/libringlet[0-9]+_[^/]*$")
    set(tree ${CPACK_TEMPORARY_DIRECTORY}/finish)
    file(REMOVE_RECURSE ${tree})
    execute_process(COMMAND dpkg-deb --raw-extract ${package} ${tree} COMMAND_ERROR_IS_FATAL ANY)
    file(REMOVE ${tree}/DEBIAN/postinst ${tree}/DEBIAN/postrm)
    execute_process(COMMAND dpkg-deb --root-owner-group --build ${tree} ${package} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
    file(REMOVE_RECURSE ${tree})
  endif()
endforeach()
