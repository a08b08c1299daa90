#!/usr/bin/env node
'use strict';

require('./tfh').main(true).then((code) => {
  process.exitCode = code;
});
