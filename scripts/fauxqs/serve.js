// Serves fauxqs on loopback, which its own command line cannot.
import { buildApp } from "fauxqs";

const port = Number(process.argv[2]);
const app = buildApp({ port, logger: false });
await app.listen({ port, host: "127.0.0.1" });
