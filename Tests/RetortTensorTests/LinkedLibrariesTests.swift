import RetortTensor
import Testing

#if canImport(Glibc)
    import Glibc

    @Suite("Libraries that stand beside libtorch")
    struct LinkedLibrariesTests {
        @Test(
            "libtorch multiplies with its own BLAS, though FAISS brings the system's",
            arguments: ["sgemm_", "dgemm_", "sgetrf_"])
        func products(symbol: String) throws {
            let libtorch = try #require(dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD))
            // Whoever stands first serves all.
            #expect(try #require(dlsym(nil, symbol)) == #require(dlsym(libtorch, symbol)))
        }
    }
#endif
