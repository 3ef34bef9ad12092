/** On the class path this file is not looked at; on the module path it makes the program a module. */
module outside {
  requires io.ringlet.client;
}
