from dataclasses import replace


def test_the_sentence_under_the_slider_follows_it_without_a_new_search(bench, image_layer, finish, fake):
    one = bench(image_layer)
    panel = one.shell.panels["detect"]
    panel.set_value(replace(panel.value(), known_answer=True))
    finish(one, "detect")
    searches = fake.calls.count("detect")
    assert panel.expected.text().startswith("expect 1 false vacancies per 100\u00a0nm² (0.025 to 5.6), 75\u00a0% found")
    panel.slider.setValue(800)
    assert panel.expected.text().startswith("expect 0 false vacancies per 100\u00a0nm² (0 to 3.7), 50\u00a0% found")
    assert fake.calls.count("detect") == searches


def test_without_the_test_there_is_no_sentence(bench, image_layer, finish, fake):
    one = bench(image_layer)
    finish(one, "detect")
    assert one.shell.panels["detect"].expected.isHidden()
    assert "known answer" not in fake.calls
