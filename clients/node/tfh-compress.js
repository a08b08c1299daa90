#!/usr/bin/env node
'use strict';

require('./tfh_program').main(true).then((code) => {
  process.exitCode = code;
});
