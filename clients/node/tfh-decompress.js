#!/usr/bin/env node
'use strict';

require('./tfh_program').main(false).then((code) => {
  process.exitCode = code;
});
