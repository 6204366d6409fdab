// SPDX-License-Identifier: MIT
// The subjects as Catch2 test cases, each at every number of Ps.
#include "test/growth/subject.h"
#include "test/support/fixture.h"

namespace growth {

namespace {

class invoker : public Catch::ITestInvoker {
  public:
    explicit invoker(const subject& s) : subject_(s) {}

    void invoke() const override {
        pirn::test::on_procs([&](int procs) {
            verdict v;
            run_subject(subject_, procs, v);
            INFO(subject_.file << ":" << v.line() << ": " << v.what());
            CHECK(v.failures() == 0);
        });
    }

  private:
    const subject& subject_;
};

}  // namespace

void enroll(subject& s) {
    Catch::AutoReg(new invoker(s), Catch::SourceLineInfo(s.file, static_cast<std::size_t>(s.line)),
                   "", Catch::NameAndTags(s.name));
}

}  // namespace growth
