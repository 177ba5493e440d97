import { describeDriver } from "../conformance/drivers.ts";
import { poolInDirectory, poolInFile } from "./reflink-test-pools.ts";

describeDriver("the reflink driver on a pool file", poolInFile);
describeDriver("the reflink driver on a directory with reflinks", poolInDirectory);
