#!/usr/bin/env node
'use strict';

require('./tfh').main(false).then((code) => {
  process.exitCode = code;
});
