export { Argument, Command, CommanderError, Option } from 'commander';
